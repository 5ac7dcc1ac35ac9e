"""The forward proxy through which cluster names resolve (``http://NAME.NAMESPACE:PORT``)."""
