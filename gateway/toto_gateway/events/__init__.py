"""Events beyond one gateway process: recorded, and relayed to other hosts."""
