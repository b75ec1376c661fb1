"""Hot data of trading: account state, replies, the router's commands."""
