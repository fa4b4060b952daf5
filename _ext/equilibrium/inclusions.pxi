# Sets and maps.
