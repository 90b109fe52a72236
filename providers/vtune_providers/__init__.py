"""The adapters that come with vtune-client, one provider a module or folder."""
