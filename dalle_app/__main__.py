"""What `python -m dalle_app` runs: the terminal."""

from dalle_app.cli import main

if __name__ == "__main__":
    main()
