"""Right answers whose tests use more than functions of data: classes, templates, callbacks, arrays, exceptions, operators."""

from __future__ import annotations

import pytest


def _case(language: str, name: str, source: str, tests: str, entry_point: str | None, slow: bool) -> pytest.param:
    return pytest.param(
        language, source, tests, entry_point, id=f"{language}: {name}", marks=[pytest.mark.slow] if slow else []
    )


CPP = [
    _case(
        "cpp", "names of the judge",
        "struct Account { long number; long known; Account(long n) : number(n), known(1) {} long refresh() { return ++known; } void adopt(long n) { number = n; } };",
        "#include <cassert>\nint main() {\n    Account a(7);\n    assert(a.number == 7 && a.refresh() == 2 && a.known == 2);\n    a.adopt(9);\n    assert(a.number == 9);\n    a.number = 4;\n    Account b = a;\n    assert(b.number == 4);\n}\n",
        "Account", slow=False,
    ),
    _case(
        "cpp", 'class stack',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'class MyStack { vector<int> v; public: MyStack() {} void push(int x){v.push_back(x);} int pop(){int x=v.back(); v.pop_back(); return x;} bool empty() const {return v.empty();} size_t size() const {return v.size();} };',
        '#include <cassert>\n'
        'int main() {\n'
        'MyStack s; assert(s.empty()); s.push(1); s.push(2); assert(s.pop()==2); assert(s.size()==1); MyStack t = s; t.push(7); assert(s.size()==1 && t.size()==2); MyStack* p = new MyStack(); p->push(3); assert(p->pop()==3); delete p;\n'
        '}\n',
        'MyStack', slow=True,
    ),
    _case(
        "cpp", 'list node',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'struct ListNode { int val; ListNode *next; ListNode(int x) : val(x), next(nullptr) {} ListNode(int x, ListNode* n) : val(x), next(n) {} };\n'
        'ListNode* reverse(ListNode* h){ ListNode* p=nullptr; while(h){ auto n=h->next; h->next=p; p=h; h=n;} return p; }',
        '#include <cassert>\n'
        'int main() {\n'
        'ListNode* a=new ListNode(1); a->next=new ListNode(2); a->next->next=new ListNode(3, nullptr); ListNode* r=reverse(a); assert(r->val==3); assert(r->next->val==2); assert(r->next->next==a); assert(a->next==nullptr); std::vector<int> v; while(r){v.push_back(r->val); r=r->next;} assert((v==std::vector<int>{3,2,1}));\n'
        '}\n',
        'reverse', slow=False,
    ),
    _case(
        "cpp", 'point agg',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'struct Point { int x; int y; };\n'
        'int dist(const Point& a, const Point& b){return abs(a.x-b.x)+abs(a.y-b.y);} Point mid(Point a, Point b){return {(a.x+b.x)/2,(a.y+b.y)/2};} int total(const vector<Point>& v){int s=0; for(auto& p: v) s+=p.x+p.y; return s;} vector<Point> grid(int n){vector<Point> r; for(int i=0;i<n;i++) r.push_back({i,i}); return r;}',
        '#include <cassert>\n'
        'int main() {\n'
        'Point p{1,2}; Point q={3,4}; assert(dist(p,q)==4); Point m=mid(p,q); assert(m.x==2 && m.y==3); p.x=10; assert(dist(p,q)==9); assert(total({{1,2},{3,4}})==10); auto g=grid(3); assert(g.size()==3 && g[2].x==2); assert(mid(Point{0,0},Point{2,2}).x==1); assert(dist({0,0},{1,1})==2);\n'
        '}\n',
        'dist', slow=True,
    ),
    _case(
        "cpp", 'fraction ops',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        "struct Fraction { int n,d; Fraction(int n,int d=1):n(n),d(d){} Fraction operator+(const Fraction& o) const {return Fraction(n*o.d+o.n*d,d*o.d);} bool operator==(const Fraction& o) const {return n*o.d==o.n*d;} friend ostream& operator<<(ostream& os,const Fraction& f){return os<<f.n<<'/'<<f.d;} };\n"
        'Fraction operator*(const Fraction& a,const Fraction& b){return Fraction(a.n*b.n,a.d*b.d);}',
        '#include <sstream>\n'
        '#include <cassert>\n'
        'int main() {\n'
        'assert(Fraction(1,2)+Fraction(1,3)==Fraction(5,6)); assert(Fraction(1,2)*Fraction(1,2)==Fraction(1,4)); Fraction x(3); assert(x.d==1); std::ostringstream os; os << Fraction(1,2); assert(os.str()=="1/2"); assert(!(Fraction(1,2)==Fraction(1,3)));\n'
        '}\n',
        'Fraction', slow=True,
    ),
    _case(
        "cpp", 'shapes',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'class Shape { public: virtual ~Shape(){} virtual double area() const = 0; string name() const {return "shape";} };\n'
        'class Circle : public Shape { double r; public: Circle(double r):r(r){} double area() const override {return 3*r*r;} };\n'
        'class Square : public Shape { double a; public: Square(double a):a(a){} double area() const override {return a*a;} };\n'
        'double total(const vector<Shape*>& s){double t=0; for(auto x:s) t+=x->area(); return t;} unique_ptr<Shape> make(const string& k,double a){ if(k=="c") return make_unique<Circle>(a); return make_unique<Square>(a);} double tot2(const vector<shared_ptr<Shape>>& s){double t=0; for(auto& x:s) t+=x->area(); return t;}',
        '#include <cassert>\n'
        'int main() {\n'
        'Shape* s=new Circle(2); assert(s->area()==12); Square q(3); assert(q.area()==9); assert(q.name()=="shape"); assert(total({s,&q})==21); auto u=make("c",1); assert(u->area()==3); std::unique_ptr<Shape> w=std::make_unique<Square>(2); assert(w->area()==4); assert(tot2({std::make_shared<Circle>(1), std::make_shared<Square>(2)})==7);\n'
        '}\n',
        'total', slow=True,
    ),
    _case(
        "cpp", 'template class',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'template <typename T> class Stack2 { vector<T> v; public: void push(const T& x){v.push_back(x);} T pop(){T x=v.back(); v.pop_back(); return x;} bool empty() const {return v.empty();} };',
        '#include <cassert>\n'
        'int main() {\n'
        'Stack2<int> s; s.push(4); assert(s.pop()==4); Stack2<std::string> t; t.push("a"); assert(t.pop()=="a"); assert(t.empty());\n'
        '}\n',
        'Stack2', slow=True,
    ),
    _case(
        "cpp", 'template fn',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'template <typename T> T largest(const vector<T>& v){T m=v[0]; for(auto& x:v) if(m<x) m=x; return m;}\n'
        'template<class F> int apply2(F f,int x){return f(f(x));}',
        '#include <cassert>\n'
        'int main() {\n'
        'assert(largest(std::vector<int>{1,3,2})==3); assert(largest(std::vector<std::string>{"a","c"})=="c"); assert(apply2([](int x){return x+1;},1)==3); auto c=largest<double>; assert(c({1.5,0})==1.5);\n'
        '}\n',
        'largest', slow=False,
    ),
    _case(
        "cpp", 'callbacks',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'vector<int> mapf(const vector<int>& v, function<int(int)> f){vector<int> r; for(int x:v) r.push_back(f(x)); return r;}\n'
        'int ap(int (*g)(int),int x){return g(x);} function<int(int)> adder(int n){return [n](int x){return x+n;};}',
        '#include <cassert>\n'
        'int main() {\n'
        'int k=2; assert((mapf({1,2},[k](int x){return x*k;})==std::vector<int>{2,4})); assert(ap([](int x){return x+1;},1)==2); auto a=adder(3); assert(a(4)==7);\n'
        '}\n',
        'mapf', slow=True,
    ),
    _case(
        "cpp", 'arrays',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'int sum(int a[], int n){int s=0; for(int i=0;i<n;i++) s+=a[i]; return s;} void rev(int* a,int n){for(int i=0;i<n/2;i++) swap(a[i],a[n-1-i]);} void sw(int* a,int* b){int t=*a;*a=*b;*b=t;} int tr(int m[][2], int n){int s=0; for(int i=0;i<n;i++) s+=m[i][i]; return s;} void up(char* s){for(;*s;s++) *s=toupper(*s);}',
        '#include <cstring>\n'
        '#include <cassert>\n'
        'int main() {\n'
        'int a[]={1,2,3}; assert(sum(a,3)==6); rev(a,3); assert(a[0]==3); int x=1,y=2; sw(&x,&y); assert(x==2&&y==1); int m[2][2]={{1,2},{3,4}}; assert(tr(m,2)==5); char s[]="abc"; up(s); assert(!strcmp(s,"ABC"));\n'
        '}\n',
        'sum', slow=True,
    ),
    _case(
        "cpp", 'exceptions',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        '#include <stdexcept>\n'
        'struct Empty : public runtime_error { Empty(const string& s):runtime_error(s){} };\n'
        'class Account { double b=0; public: void deposit(double x){ if(x<=0) throw invalid_argument("bad"); b+=x;} void withdraw(double x){ if(x>b) throw Empty("low"); b-=x;} double balance() const {return b;} };',
        '#include <stdexcept>\n'
        '#include <cassert>\n'
        'int main() {\n'
        'Account a; a.deposit(5); assert(a.balance()==5); bool t=false; try { a.withdraw(9);} catch(const Empty& e){ t=std::string(e.what())=="low";} assert(t); t=false; try{a.deposit(-1);} catch(const std::invalid_argument&){t=true;} assert(t); t=false; try { a.withdraw(9);} catch(const std::exception& e){ t=true;} assert(t);\n'
        '}\n',
        'Account', slow=True,
    ),
    _case(
        "cpp", 'matrix refs',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'class Matrix { vector<vector<int>> d; public: Matrix(int r,int c):d(r,vector<int>(c)){} int& operator()(int i,int j){return d[i][j];} vector<int>& operator[](int i){return d[i];} int at(int i,int j) const {return d[i][j];} };',
        '#include <cassert>\n'
        'int main() {\n'
        'Matrix m(2,2); m(0,1)=5; assert(m.at(0,1)==5); m(1,1)+=2; assert(m(1,1)==2); m[0][0]=9; assert(m.at(0,0)==9); std::swap(m(0,0), m(1,1)); assert(m.at(0,0)==2 && m.at(1,1)==9);\n'
        '}\n',
        'Matrix', slow=True,
    ),
    _case(
        "cpp", 'enum2',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'enum class Color { Red, Green = 5, Blue };\n'
        'Color nextc(Color c){return c==Color::Red?Color::Green:Color::Red;} string nm(Color c){return c==Color::Blue?"b":"x";}',
        '#include <cassert>\n'
        'int main() {\n'
        'assert(nextc(Color::Red)==Color::Green); assert(nm(Color::Blue)=="b"); assert((int)Color::Blue==6);\n'
        '}\n',
        'nextc', slow=True,
    ),
    _case(
        "cpp", 'solution',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'class Solution { public: vector<int> twoSum(vector<int>& nums, int t){ for(int i=0;i<nums.size();i++) for(int j=i+1;j<nums.size();j++) if(nums[i]+nums[j]==t) return {i,j}; return {}; } void rot(vector<int>& v){ reverse(v.begin(), v.end()); } };\n'
        '#include <algorithm>',
        '#include <cassert>\n'
        'int main() {\n'
        'std::vector<int> v{2,7,11}; assert((Solution().twoSum(v,9)==std::vector<int>{0,1})); Solution s; s.rot(v); assert(v[0]==11);\n'
        '}\n',
        'twoSum', slow=True,
    ),
    _case(
        "cpp", 'tree',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'struct TreeNode { int val; TreeNode* left; TreeNode* right; TreeNode(int x): val(x), left(nullptr), right(nullptr){} };\n'
        'TreeNode* insert(TreeNode* r,int v){ if(!r) return new TreeNode(v); if(v<r->val) r->left=insert(r->left,v); else r->right=insert(r->right,v); return r;} void del(TreeNode* r){ if(!r) return; del(r->left); del(r->right); delete r;} int depth(TreeNode* r){ return r?1+max(depth(r->left),depth(r->right)):0;}',
        '#include <cassert>\n'
        'int main() {\n'
        'TreeNode* r=nullptr; for(int v:{5,3,8,1}) r=insert(r,v); assert(r->left->left->val==1); assert(depth(r)==3); del(r->left); r->left=nullptr; assert(depth(r)==2); del(r);\n'
        '}\n',
        'insert', slow=True,
    ),
    _case(
        "cpp", 'gcd noentry ok',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'int gcd(int a,int b){return b?gcd(b,a%b):a;}',
        '#include <cassert>\n'
        'int main() {\n'
        'assert(gcd(12,18)==6);\n'
        '}\n',
        None, slow=True,
    ),
    _case(
        "cpp", 'gcd entry',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'int gcd(int a,int b){return b?gcd(b,a%b):a;}',
        '#include <cassert>\n'
        'int main() {\n'
        'assert(gcd(12,18)==6);\n'
        '}\n',
        'gcd', slow=True,
    ),
    _case(
        "cpp", 'helper max',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        'int max(int a,int b){return a>b?a:b;} int f(int x){return max(x,0);}',
        '#include <cassert>\n'
        'int main() {\n'
        'assert(f(-1)==0);\n'
        '}\n',
        'f', slow=True,
    ),
    _case(
        "cpp", 'lru',
        '#include <vector>\n'
        '#include <string>\n'
        '#include <functional>\n'
        '#include <memory>\n'
        '#include <iostream>\n'
        'using namespace std;\n'
        '#include <list>\n'
        '#include <unordered_map>\n'
        'class LRUCache { int c; list<pair<int,int>> l; unordered_map<int,list<pair<int,int>>::iterator> m; public: LRUCache(int capacity) : c(capacity) {} int get(int k){auto i=m.find(k); if(i==m.end()) return -1; l.splice(l.begin(),l,i->second); return l.front().second;} void put(int k,int v){ if(get(k)!=-1){l.front().second=v;return;} if(l.size()==c){m.erase(l.back().first); l.pop_back();} l.emplace_front(k,v); m[k]=l.begin();} };',
        '#include <cassert>\n'
        'int main() {\n'
        'LRUCache cache(2); cache.put(1,1); cache.put(2,2); assert(cache.get(1)==1); cache.put(3,3); assert(cache.get(2)==-1); LRUCache* p = new LRUCache(1); p->put(1,1); assert(p->get(1)==1);\n'
        '}\n',
        'LRUCache', slow=True,
    ),
]  # fmt: skip
CSHARP = [
    _case(
        "csharp", "function with the name of a method of lists",
        "using System.Collections.Generic;\nclass Problem { public static long Add(List<long> all, long x) { all.Add(x); return all.Count; } }",
        "public static void Main(string[] args) {\n    Debug.Assert(Add(new List<long>(new long[]{4L, 5L}), 6L) == 3L);\n    }\n}\n",
        "Add", slow=False,
    ),
    _case(
        "csharp", 'class',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public class Account { private decimal b; public string Owner { get; set; } public int Count; public Account(string o) { Owner = o; } public void Deposit(decimal x) { if (x <= 0) throw new ArgumentException("bad"); b += x; Count++; } public decimal Balance { get { return b; } } public override string ToString() => Owner + ":" + b; }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'var a = new Account("x"); a.Deposit(5m); Debug.Assert(a.Balance == 5m); Debug.Assert(a.Count == 1); a.Owner = "y"; Debug.Assert(a.ToString() == "y:5"); bool t=false; try { a.Deposit(-1m); } catch (ArgumentException) { t = true; } Debug.Assert(t);\n'
        '} }\n',
        'Account', slow=False,
    ),
    _case(
        "csharp", 'nested node',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Problem {\n'
        'public class Node { public int Val; public Node Next; public Node(int v) { Val = v; } }\n'
        'public static Node Reverse(Node h) { Node p=null; while(h!=null){var n=h.Next; h.Next=p; p=h; h=n;} return p; }\n',
        '    public static void Main(string[] args) {\n'
        'var a = new Node(1); a.Next = new Node(2); var r = Reverse(a); Debug.Assert(r.Val == 2); Debug.Assert(r.Next == a); Debug.Assert(a.Next == null);\n'
        '    }\n'
        '}\n',
        'Reverse', slow=True,
    ),
    _case(
        "csharp", 'shapes',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public interface IShape { double Area(); string Name { get; } }\n'
        'public class Circle : IShape { double r; public Circle(double r) { this.r = r; } public double Area() { return 3*r*r; } public string Name => "c"; }\n'
        'public class Square : IShape { public double A { get; } public Square(double a) { A = a; } public double Area() => A*A; public string Name => "s"; }\n'
        'public static class Geo { public static double Total(List<IShape> s) { return s.Sum(x => x.Area()); } public static IShape Make(string k) { return k == "c" ? (IShape)new Circle(1) : new Square(2); } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'IShape s = new Circle(2); Debug.Assert(s.Area() == 12); Debug.Assert(Geo.Total(new List<IShape> { s, new Square(3) }) == 21); Debug.Assert(Geo.Make("s").Area() == 4); Debug.Assert(Geo.Make("c").Name == "c"); Debug.Assert(Geo.Make("c") is Circle);\n'
        '} }\n',
        'Geo', slow=True,
    ),
    _case(
        "csharp", 'generic',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public class MyStack<T> { List<T> v = new List<T>(); public void Push(T x) { v.Add(x); } public T Pop() { var x = v[v.Count-1]; v.RemoveAt(v.Count-1); return x; } public int Count { get { return v.Count; } } }\n'
        'public static class Util { public static T Max<T>(List<T> v) where T : IComparable<T> { var m = v[0]; foreach (var x in v) if (x.CompareTo(m) > 0) m = x; return m; } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'var s = new MyStack<int>(); s.Push(3); Debug.Assert(s.Count == 1); Debug.Assert(s.Pop() == 3); var t = new MyStack<string>(); t.Push("a"); Debug.Assert(t.Pop() == "a"); Debug.Assert(Util.Max(new List<int>{1,3,2}) == 3); Debug.Assert(Util.Max(new List<string>{"a","b"}) == "b");\n'
        '} }\n',
        'MyStack', slow=False,
    ),
    _case(
        "csharp", 'ops',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public struct Fraction { public int N, D; public Fraction(int n, int d) { N = n; D = d; } public static Fraction operator +(Fraction a, Fraction b) { return new Fraction(a.N*b.D+b.N*a.D, a.D*b.D); } public static bool operator ==(Fraction a, Fraction b) { return a.N*b.D == b.N*a.D; } public static bool operator !=(Fraction a, Fraction b) { return !(a == b); } public override bool Equals(object o) { return o is Fraction && this == (Fraction)o; } public override int GetHashCode() { return 0; } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'Debug.Assert(new Fraction(1,2) + new Fraction(1,3) == new Fraction(5,6)); Debug.Assert(new Fraction(1,2).Equals(new Fraction(2,4))); Debug.Assert(new Fraction(1,2) != new Fraction(1,3)); Debug.Assert(!new Fraction(1,2).Equals(3));\n'
        '} }\n',
        'Fraction', slow=True,
    ),
    _case(
        "csharp", 'callbacks',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Problem {\n'
        'public static List<int> Map(List<int> v, Func<int,int> f) { return v.Select(f).ToList(); } public static Func<int,int> Adder(int n) { return x => x + n; } public static void Each(List<int> v, Action<int> a) { foreach (var x in v) a(x); }\n',
        '    public static void Main(string[] args) {\n'
        'int k = 2; Debug.Assert(Map(new List<int>{1,2}, x => x*k).SequenceEqual(new List<int>{2,4})); var a = Adder(3); Debug.Assert(a(4) == 7); int s = 0; Each(new List<int>{1,2}, x => s += x); Debug.Assert(s == 3);\n'
        '    }\n'
        '}\n',
        'Map', slow=False,
    ),
    _case(
        "csharp", 'exception own',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public class Low : Exception { public Low(string m) : base(m) {} }\n'
        'public class A { public void F(int x) { if (x < 0) throw new Low("neg"); } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'bool t=false; try { new A().F(-1); } catch (Low e) { t = e.Message == "neg"; } Debug.Assert(t);\n'
        '} }\n',
        'A', slow=True,
    ),
    _case(
        "csharp", 'enum',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Problem {\n'
        'public enum Color { Red, Green = 5 }\n'
        'public static Color Next(Color c) { return c == Color.Red ? Color.Green : Color.Red; }\n',
        '    public static void Main(string[] args) {\n'
        'Debug.Assert(Next(Color.Red) == Color.Green);\n'
        '    }\n'
        '}\n',
        'Next', slow=True,
    ),
    _case(
        "csharp", 'indexer',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public class Grid { int[,] d; public Grid(int r, int c) { d = new int[r,c]; } public int this[int i, int j] { get { return d[i,j]; } set { d[i,j] = value; } } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'var g = new Grid(2,2); g[0,1] = 5; Debug.Assert(g[0,1] == 5); g[0,1] += 2; Debug.Assert(g[0,1] == 7);\n'
        '} }\n',
        'Grid', slow=True,
    ),
    _case(
        "csharp", 'enumerable',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'using System.Collections;\n'
        'public class Bag : IEnumerable<int> { List<int> v = new List<int>(); public void Add(int x) { v.Add(x); } public IEnumerator<int> GetEnumerator() { return v.GetEnumerator(); } IEnumerator IEnumerable.GetEnumerator() { return GetEnumerator(); } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'var b = new Bag { 1, 2 }; int s = 0; foreach (var x in b) s += x; Debug.Assert(s == 3); Debug.Assert(b.SequenceEqual(new[]{1,2}));\n'
        '} }\n',
        'Bag', slow=True,
    ),
    _case(
        "csharp", 'inherit',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'public abstract class Animal { public string Name { get; protected set; } protected Animal(string n) { Name = n; } public abstract string Speak(); public string Twice() { return Speak() + Speak(); } }\n'
        'public class Dog : Animal { public Dog(string n) : base(n) {} public override string Speak() { return "w"; } }',
        'using System;\n'
        'using System.Linq;\n'
        'using System.Diagnostics;\n'
        'using System.Collections.Generic;\n'
        'class Tests { public static void Main(string[] args) {\n'
        'Animal d = new Dog("r"); Debug.Assert(d.Twice() == "ww"); Debug.Assert(d.Name == "r"); Debug.Assert(new Dog("x").Speak() == "w"); var l = new List<Animal> { d, new Dog("q") }; Debug.Assert(l.Count == 2);\n'
        '} }\n',
        'Dog', slow=True,
    ),
]  # fmt: skip
RUST = [
    _case(
        "rust", 'stack',
        '#[derive(Debug, Clone, Default)]\n'
        'pub struct Stack { items: Vec<i32> }\n'
        'impl Stack {\n'
        ' pub fn new() -> Self { Stack { items: Vec::new() } }\n'
        ' pub fn push(&mut self, x: i32) { self.items.push(x); }\n'
        ' pub fn pop(&mut self) -> Option<i32> { self.items.pop() }\n'
        ' pub fn peek(&self) -> Option<&i32> { self.items.last() }\n'
        ' pub fn len(&self) -> usize { self.items.len() } pub fn is_empty(&self) -> bool { self.items.is_empty() } }',
        'fn main() {\n'
        'let mut s = Stack::new(); assert!(s.is_empty()); s.push(1); s.push(2); assert_eq!(s.peek(), Some(&2)); assert_eq!(s.pop(), Some(2)); assert_eq!(s.len(), 1); let t = s.clone(); s.push(4); assert_eq!(t.len(), 1); assert_eq!(format!("{:?}", t), "Stack { items: [1] }");\n'
        '}\n',
        'Stack', slow=False,
    ),
    _case(
        "rust", 'point',
        '#[derive(Debug, Clone, Copy, PartialEq)]\n'
        'pub struct Point { pub x: f64, pub y: f64 }\n'
        'impl Point { fn new(x: f64, y: f64) -> Point { Point { x, y } } fn norm(&self) -> f64 { (self.x*self.x+self.y*self.y).sqrt() } fn shift(&mut self, d: f64) { self.x += d; } }\n'
        'impl std::ops::Add for Point { type Output = Point; fn add(self, o: Point) -> Point { Point { x: self.x+o.x, y: self.y+o.y } } }\n'
        'fn mid(a: Point, b: &Point) -> Point { Point { x: (a.x+b.x)/2.0, y: (a.y+b.y)/2.0 } }\n'
        'fn grid(n: usize) -> Vec<Point> { (0..n).map(|i| Point::new(i as f64, 0.0)).collect() }',
        'fn main() {\n'
        'let p = Point { x: 3.0, y: 4.0 }; assert_eq!(p.norm(), 5.0); let mut q = Point::new(1.0, 1.0); q.shift(2.0); assert_eq!(q, Point { x: 3.0, y: 1.0 }); assert_eq!(p + q, Point::new(6.0, 5.0)); assert_eq!(mid(p, &q).y, 2.5); assert_eq!(grid(3)[2].x, 2.0);\n'
        '}\n',
        'mid', slow=True,
    ),
    _case(
        "rust", 'enum',
        '#[derive(Debug, PartialEq)]\n'
        'pub enum Shape { Circle(f64), Rect { w: f64, h: f64 }, Unit }\n'
        'impl Shape { pub fn area(&self) -> f64 { match self { Shape::Circle(r) => 3.0*r*r, Shape::Rect { w, h } => w*h, Shape::Unit => 1.0 } } }\n'
        '#[derive(Debug, PartialEq, Eq, Clone)]\n'
        'pub enum MathError { Negative, TooBig(i32) }\n'
        'fn root(x: i32) -> Result<i32, MathError> { if x < 0 { Err(MathError::Negative) } else if x > 100 { Err(MathError::TooBig(x)) } else { Ok((x as f64).sqrt() as i32) } }',
        'fn main() {\n'
        'assert_eq!(Shape::Circle(2.0).area(), 12.0); assert_eq!(Shape::Rect { w: 2.0, h: 3.0 }.area(), 6.0); assert_eq!(root(-1), Err(MathError::Negative)); assert_eq!(root(200), Err(MathError::TooBig(200))); assert_eq!(root(9), Ok(3)); match root(-1) { Err(MathError::Negative) => {}, _ => panic!() }\n'
        '}\n',
        'root', slow=False,
    ),
    _case(
        "rust", 'callbacks',
        'fn map_all<F: Fn(i32) -> i32>(v: &[i32], f: F) -> Vec<i32> { v.iter().map(|x| f(*x)).collect() }\n'
        'fn ap(f: &dyn Fn(i32) -> i32, x: i32) -> i32 { f(f(x)) }\n'
        'fn bx(f: Box<dyn Fn(i32) -> i32>, x: i32) -> i32 { f(x) }\n'
        'fn im(f: impl Fn(&str) -> usize, s: &str) -> usize { f(s) }\n'
        'fn pt(f: fn(i32) -> i32, x: i32) -> i32 { f(x) }\n'
        'fn each<F>(v: Vec<i32>, mut f: F) where F: FnMut(i32) { for x in v { f(x); } }',
        'fn main() {\n'
        'let k = 2; assert_eq!(map_all(&[1, 2], |x| x * k), vec![2, 4]); assert_eq!(ap(&|x| x + 1, 1), 3); assert_eq!(bx(Box::new(|x| x + 1), 1), 2); assert_eq!(im(|s| s.len(), "abc"), 3); fn inc(x: i32) -> i32 { x + 1 } assert_eq!(pt(inc, 4), 5); let mut t = 0; each(vec![1, 2], |x| t += x); assert_eq!(t, 3);\n'
        '}\n',
        'map_all', slow=False,
    ),
    _case(
        "rust", 'display',
        'use std::fmt;\n'
        'pub struct Temp { c: f64 }\n'
        'impl Temp { pub fn new(c: f64) -> Self { Temp { c } } }\n'
        'impl fmt::Display for Temp { fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result { write!(f, "{:.1}C", self.c) } }\n'
        'impl From<f64> for Temp { fn from(c: f64) -> Self { Temp { c } } }\n'
        'impl PartialEq for Temp { fn eq(&self, o: &Self) -> bool { (self.c - o.c).abs() < 0.1 } }',
        'fn main() {\n'
        'assert_eq!(Temp::new(3.0).to_string(), "3.0C"); assert_eq!(format!("{}", Temp::from(1.5)), "1.5C"); assert!(Temp::new(1.0) == Temp::new(1.0)); assert!(Temp::new(1.0) != Temp::new(2.0));\n'
        '}\n',
        'Temp', slow=True,
    ),
    _case(
        "rust", 'iterator',
        'pub struct Counter { n: u32 }\n'
        'impl Counter { pub fn new() -> Self { Counter { n: 0 } } }\n'
        'impl Iterator for Counter { type Item = u32; fn next(&mut self) -> Option<Self::Item> { if self.n < 3 { self.n += 1; Some(self.n) } else { None } } }',
        'fn main() {\n'
        'assert_eq!(Counter::new().collect::<Vec<u32>>(), vec![1, 2, 3]); assert_eq!(Counter::new().sum::<u32>(), 6);\n'
        '}\n',
        'Counter', slow=True,
    ),
    _case(
        "rust", 'trait',
        'pub trait Area { fn area(&self) -> f64; }\n'
        'pub struct Sq { a: f64 }\n'
        'impl Sq { pub fn new(a: f64) -> Self { Sq { a } } }\n'
        'impl Area for Sq { fn area(&self) -> f64 { self.a * self.a } }',
        'fn main() {\n'
        'assert_eq!(Sq::new(2.0).area(), 4.0);\n'
        '}\n',
        'Sq', slow=True,
    ),
    _case(
        "rust", 'linked',
        'use std::rc::Rc; use std::cell::RefCell;\n'
        'pub struct Node { v: i32, next: Option<Rc<RefCell<Node>>> }\n'
        'pub struct List { head: Option<Rc<RefCell<Node>>>, len: usize }\n'
        'impl List { pub fn new() -> List { List { head: None, len: 0 } } pub fn push(&mut self, v: i32) { let h = self.head.take(); self.head = Some(Rc::new(RefCell::new(Node { v, next: h }))); self.len += 1; } pub fn to_vec(&self) -> Vec<i32> { let mut r = vec![]; let mut c = self.head.clone(); while let Some(n) = c { r.push(n.borrow().v); c = n.borrow().next.clone(); } r } }',
        'fn main() {\n'
        'let mut l = List::new(); l.push(1); l.push(2); assert_eq!(l.to_vec(), vec![2, 1]);\n'
        '}\n',
        'List', slow=True,
    ),
    _case(
        "rust", 'listnode',
        '#[derive(PartialEq, Eq, Clone, Debug)]\n'
        'pub struct ListNode { pub val: i32, pub next: Option<Box<ListNode>> }\n'
        'impl ListNode { #[inline] fn new(val: i32) -> Self { ListNode { next: None, val } } }\n'
        'fn reverse(head: Option<Box<ListNode>>) -> Option<Box<ListNode>> { let mut p = None; let mut c = head; while let Some(mut n) = c { c = n.next.take(); n.next = p; p = Some(n); } p }',
        'fn main() {\n'
        'let mut a = ListNode::new(1); a.next = Some(Box::new(ListNode::new(2))); let r = reverse(Some(Box::new(a))); assert_eq!(r.as_ref().unwrap().val, 2); assert_eq!(r.unwrap().next.unwrap().val, 1);\n'
        '}\n',
        'reverse', slow=True,
    ),
    _case(
        "rust", 'slice mut',
        'fn rev(v: &mut [i32]) { v.reverse(); }\n'
        'fn grow(v: &mut Vec<i32>) { v.push(9); }\n'
        "fn longest<'a>(a: &'a str, b: &'a str) -> &'a str { if a.len() > b.len() { a } else { b } }",
        'fn main() {\n'
        'let mut v = vec![1, 2]; rev(&mut v); assert_eq!(v, [2, 1]); grow(&mut v); assert_eq!(v.len(), 3); assert_eq!(longest("ab", "c"), "ab");\n'
        '}\n',
        'rev', slow=True,
    ),
]  # fmt: skip
