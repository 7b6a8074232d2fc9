"""The corridor: one click command for one DVC stage; each opens its inputs, calls one room after another and writes its outs."""
