"""Nothing to install: Multipass uses only what the webui itself brings.

The webui runs this file at every start. Should a dependency ever be needed, this is the place to
add it, after honouring ``launch.args.skip_install``.
"""
