"""Methods with traits that the gateway acts on."""
