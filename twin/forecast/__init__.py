"""Forecasters: trained models under ONNX Runtime; how they are trained is in `training`."""
