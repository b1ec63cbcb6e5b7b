"""The frontier: violations against over-provisioning as each policy's knob turns."""
