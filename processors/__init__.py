"""Pure steps: no Faust, no sockets, no clock, no environment. Time is an argument."""
