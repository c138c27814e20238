"""Scenes: every kind of incident, and what of everyday life looks like one. docs/simulator.md, "Scenes"."""

from processors.simulate.scenes.kinds import LIVE_SCENES, SCENE_KINDS

__all__ = ["LIVE_SCENES", "SCENE_KINDS"]
