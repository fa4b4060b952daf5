# Matrix games.
