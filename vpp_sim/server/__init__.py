"""The results of runs over HTTP: JSON for programs, one plain page for people.

The server reads what runs left and writes nothing but a report that is missing. A run is looked up in the catalogue by
its id; no text of a request is ever joined to a path. It binds to this machine only unless told otherwise, answers only
to the host names it is meant to have (a page elsewhere could otherwise reach it through a name of its own), and every
mistake is answered by a JSON problem that says what was wrong and what is nearest. Turned down: a database of its own
(the catalogue and the folders hold everything), pages that need scripts or other hosts, and ``extends`` in scenarios
sent for checking (it would read the server's files). It follows that a server may be started and stopped at any time.
"""

__all__ = ["app", "serving"]
