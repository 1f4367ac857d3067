"""The ablation study: what each part of the method is worth, with intervals, beside published networks."""
