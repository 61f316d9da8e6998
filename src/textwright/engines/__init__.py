"""What computes a decoding step: the model itself, a CUDA graph of it, or kernels of our own for a CPU."""
