"""Call Python functions in a pool of worker processes over HTTP.

Method authors import from the modules of this package (``toto.exceptions``, ``toto.invocation``,
``toto.handler``); the names that start with an underscore belong to the product. Nothing heavy is
imported here, so that ``import toto`` costs a method module nothing.
"""

__version__ = "0.1.0"
