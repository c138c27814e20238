"""The city simulator: seeded, event-timed, pure. docs/simulator.md says what it imitates and how hard it is."""

from processors.simulate.rule import Interval, Sent, SimulationRule
from processors.simulate.scenes import LIVE_SCENES
from processors.simulate.simulation import Simulation

__all__ = ["LIVE_SCENES", "Interval", "Sent", "Simulation", "SimulationRule"]
