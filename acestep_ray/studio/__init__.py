"""The Studio: the web page that the service serves at ``/``. Plain files, served as they are; the
page is index.html, everything else is below js/ and css/."""

from pathlib import Path

FOLDER = Path(__file__).parent
