"""The pictures of the README, and the program that makes them; in ``compared`` the screen before and after."""
