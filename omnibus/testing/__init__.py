"""Public test tools: the channel contract suite, a fake provider, stages without a bus."""
