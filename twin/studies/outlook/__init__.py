"""When each link runs out: busy values, their growth, upgrades and what these cost."""
