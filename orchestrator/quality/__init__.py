"""Whether answers hold: audits, calibrations and the statistics behind them."""
