"""What `python app.py` and a hosted Space run: settings, engines, server."""

from dalle_app.serve import main

if __name__ == "__main__":
    main()
