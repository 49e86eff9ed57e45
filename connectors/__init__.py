"""One folder for each channel; a folder with a leading underscore is machinery the channels share."""
