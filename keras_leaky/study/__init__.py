"""Studies: which rectifier, which alpha, which learning rate, and does it help at all?"""
