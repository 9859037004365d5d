"""The Ray Serve application. All Ray lives here."""
