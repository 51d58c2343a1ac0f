import json,sys,glob
for f in sorted(glob.glob('/work/ev/*/*/circuit.json')+glob.glob('/tmp/w8p/*/circuit.json')+glob.glob('/tmp/*/*/circuit.json')+glob.glob('/tmp/*/*/*/circuit.json')+glob.glob('/tmp/*/circuit.json')):
    d=json.load(open(f))
    l=d['layers'][-1]
    try: print(f, d['target'].get('name'), [ (x['name'],len(x['groups'])) for x in d['layers']], d.get('schema_version') or d.get('version'), d.get('method_version'))
    except Exception as e: print(f, e, list(d))
