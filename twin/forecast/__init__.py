"""Forecasters: trained models under ONNX Runtime, and how they are trained."""
