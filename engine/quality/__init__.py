"""What each precision costs in quality: errors by layer, perplexity and divergence."""
