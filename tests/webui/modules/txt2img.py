from mini.page_jobs import txt2img, txt2img_create_processing  # noqa: F401
