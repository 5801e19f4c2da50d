"""What a scenario will take before anything of it starts: requests, tokens, time and money."""
