"""The command line: one thin module a command. Heavy imports happen inside the commands, so that help is instant."""
