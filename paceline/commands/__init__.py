"""The `paceline` command, one module per subcommand. A module is imported when its command is called."""
