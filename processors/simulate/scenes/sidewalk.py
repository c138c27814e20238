"""Order on the sidewalk: vehicles parked where none may, shops that spread out, street vending."""

from collections.abc import Mapping
from typing import Final

from processors.simulate.scenes.sighted import Claim, Sighted, anywhere

SIDEWALK: Final[Mapping[str, Sighted]] = {
    "illegal_parking": Sighted((Claim("illegal_parking", "car", (15.0, 60.0), 5.0),), (600.0, 2400.0), anywhere),
    "encroachment": Sighted((Claim("encroachment", "table", (20.0, 60.0), 5.0),), (900.0, 3600.0), anywhere),
    "street_vending": Sighted((Claim("street_vending", "cart", (20.0, 60.0), 5.0),), (600.0, 2400.0), anywhere),
}
"""Kind -> how it looks."""
