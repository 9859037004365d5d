"""Where audio is stored: takes and source files, in a folder or a bucket, behind one interface."""
