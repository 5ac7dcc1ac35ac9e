"""What ``kagent-tui demo`` applies: ordinary manifests, and the program of the BYO agent."""
