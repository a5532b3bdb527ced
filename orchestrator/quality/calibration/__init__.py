"""When a cheap answer is good enough: thresholds with a finite-sample guarantee, and the audit that watches them."""
