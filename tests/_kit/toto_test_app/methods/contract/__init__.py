"""Methods of the suite that says what a method sees and what its answers become."""
