"""The Ray Serve application: the only package that imports Ray."""
