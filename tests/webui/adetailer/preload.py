def preload(parser):
    parser.add_argument("--ad-no-huggingface", action="store_true", help="Has no effect: nothing is downloaded.")
