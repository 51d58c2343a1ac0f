import glob
from pathlib import Path
import neurflow
for f in sorted(set(glob.glob('/work/ev/*/*/circuit.json')+glob.glob('/tmp/w8p/*/circuit.json')+glob.glob('/tmp/w8p/*/*/circuit.json')+glob.glob('/tmp/house/dig_new/*/circuit.json')+glob.glob('/tmp/page*/*/circuit.json')+glob.glob('/tmp/fast2/*/circuit.json')+glob.glob('/tmp/groups*/*/circuit.json'))):
    try:
        c=neurflow.load_circuit(str(Path(f).parent))
        print(f,c.target.name,[(l.name,len(l.groups)) for l in c.layers], c.config.meanings, c.config.grouping,len(c.images),len(next(iter(c.layers[-1].neurons.values())).semantic_groups))
    except Exception as e: print(f,repr(e)[:100])
