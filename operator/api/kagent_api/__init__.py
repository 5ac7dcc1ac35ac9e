"""Resource types of kagent.dev and the contracts the programs share. Never imports another of our packages."""
