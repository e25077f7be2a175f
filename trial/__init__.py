"""The sweep driver, the Ray worker, the training loop, and every command that joins the layers."""
