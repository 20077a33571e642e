"""Flags that a shell, Kubernetes or a template would make something else of."""

ODD = (
    '--a=it\'s "odd"',
    "--b=two  spaces",
    "--c=$(touch pwned)`touch pwned`;touch pwned",
    "--d=line\nbreak",
    "--e=$(VAR) $$(VAR) $$$ $( ${HOME} $VAR %a %%j {0}",
    "--f=*",
    "--g=\\",
    "--h=é×",
    "--i=' && touch pwned #",
    "--j=",
    "EOF",
)
