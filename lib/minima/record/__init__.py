"""What is KEPT and SHOWN: run directory, results, checkpoints, TensorBoard, figures, progress."""
