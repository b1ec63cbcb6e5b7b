"""The frontier: what each policy's knob buys, violations against over-provisioning."""
