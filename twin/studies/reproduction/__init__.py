"""The paper's tables and figures, published beside measured.

Sengendo and Granelli, "AI-Enabled Digital Twins for Next-Generation Networks: Forecasting Traffic
and Resource Management in 5G/6G".
"""
