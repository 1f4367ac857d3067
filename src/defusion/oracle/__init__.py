"""Instructions by an oracle that is given the clean reference: the degradation of one pair, on a chart."""

from defusion.oracle.fitted import Fitted
from defusion.oracle.fitting import fit, instruction, show

__all__ = ["Fitted", "fit", "instruction", "show"]
