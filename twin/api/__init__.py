"""What `import twin` offers: the calls that put the packages together."""
