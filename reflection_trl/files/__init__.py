"""What lies on disk: the folder of a run, the folder of a model, and the processes that share them."""
