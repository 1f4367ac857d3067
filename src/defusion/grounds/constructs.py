"""The pool of constructs, in the four groups of the TE42 chart family (paper, section 1)."""

from defusion.grounds.canvas import Construct
from defusion.grounds.colours import colour_bars, colour_checker, grey_steps, hue_wheel, ramps
from defusion.grounds.concentric import rings, sector_star, siemens_star, slanted_squares, zone_plate
from defusion.grounds.natural import cloth, clouds, foliage, stone, wood
from defusion.grounds.random_textures import dead_leaves, grain, pink_noise, random_blocks, white_noise

GROUPS: dict[str, tuple[Construct, ...]] = {
    "concentric": (siemens_star, sector_star, zone_plate, rings, slanted_squares),
    "random": (dead_leaves, white_noise, pink_noise, grain, random_blocks),
    "natural": (foliage, cloth, wood, stone, clouds),
    "colours": (colour_checker, grey_steps, ramps, hue_wheel, colour_bars),
}
